// A p-value as a ratio of big integers, shown as two numbers: the nearest double (never 0) and its log10, which
// goes on where doubles end.

export interface PValue {
  /** In (0, 1]; 5e-324 stands for anything smaller. */
  readonly p_value: number;
  readonly log10_p: number;
}

const BITS = 80n; // enough that the quotient below has more bits than a double

const bitLength = (x: bigint): number => {
  const hex = x.toString(16);
  return 4 * (hex.length - 1) + (32 - Math.clz32(Number.parseInt(hex[0]!, 16)));
};

/** numerator/denominator as mantissa·2^exponent, mantissa in (1/2, 2) with a relative error below 2^-52. */
function split(numerator: bigint, denominator: bigint): { mantissa: number; exponent: number } {
  const exponent = bitLength(numerator) - bitLength(denominator);
  const up = BITS - BigInt(exponent);
  const quotient = up >= 0n ? (numerator << up) / denominator : numerator / (denominator << -up);
  return { mantissa: Number(quotient) * 2 ** -Number(BITS), exponent };
}

const toNumber = (numerator: bigint, denominator: bigint): number => {
  if (numerator === 0n) return 0;
  const { mantissa, exponent } = split(numerator, denominator);
  return exponent < -1000 ? mantissa * 2 ** (exponent + 200) * 2 ** -200 : mantissa * 2 ** exponent;
};

/** 0 < numerator <= denominator. log10 keeps its relative precision near 1 too, by the complement. */
export function ratio(numerator: bigint, denominator: bigint): PValue {
  const p_value = Math.max(toNumber(numerator, denominator), Number.MIN_VALUE);
  if (numerator * 2n > denominator) {
    const rest = toNumber(denominator - numerator, denominator);
    return { p_value, log10_p: rest === 0 ? 0 : Math.log1p(-rest) / Math.LN10 };
  }
  const { mantissa, exponent } = split(numerator, denominator);
  return { p_value, log10_p: (Math.log(mantissa) + exponent * Math.LN2) / Math.LN10 };
}

/** A probability in full; 0 < numerator <= denominator. */
export interface Ratio {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

export const CERTAIN: Ratio = { numerator: 1n, denominator: 1n };

/** Digits of a number that a certificate can hold. */
export const MOST_DIGITS = 100_001;
/** Whether it is written out in no time, and in so many digits. */
export const isShort = ({ denominator }: Ratio): boolean => bitLength(denominator) < 3 * MOST_DIGITS;

export function lowestTerms({ numerator, denominator }: Ratio): { numerator: string; denominator: string } {
  let [a, b] = [numerator, denominator];
  while (b > 0n) [a, b] = [b, a % b];
  return { numerator: String(numerator / a), denominator: String(denominator / a) };
}

export const toPValue = ({ numerator, denominator }: Ratio): PValue => ratio(numerator, denominator);

/** The decimal that a number is written as, exactly: 1e-6 is 1/1,000,000 and not the double beside it. */
export function decimal(value: number): Ratio {
  const [digits = '', power = '0'] = String(value).split('e');
  const [whole = '', fraction = ''] = digits.split('.');
  const exponent = Number(power) - fraction.length;
  const numerator = BigInt(whole + fraction);
  return exponent >= 0
    ? { numerator: numerator * 10n ** BigInt(exponent), denominator: 1n }
    : { numerator, denominator: 10n ** BigInt(-exponent) };
}

/** Digits of a tenth of a decade and more, so that whoever rounds up in integers comes to the same fraction. */
const POWER_DIGITS = 9n;

/**
 * 10^(-hundredths/100) as a fraction, `hundredths` >= 0: a/10^k with the least a of ten digits that is not below it. Found
 * in integers, so that every machine and language has the same one.
 */
export function powerOfTen(hundredths: number): Ratio {
  const whole = Math.ceil(hundredths / 100);
  const wanted = 10n ** (100n * POWER_DIGITS + BigInt(100 * whole - hundredths));
  let numerator = BigInt(Math.round(10 ** (9 + whole - hundredths / 100)));
  while (numerator ** 100n >= wanted) numerator--;
  while (numerator ** 100n < wanted) numerator++;
  return { numerator, denominator: 10n ** (POWER_DIGITS + BigInt(whole)) };
}

/** The smaller of two. */
export const lesser = (a: Ratio, b: Ratio): Ratio =>
  a.numerator * b.denominator <= b.numerator * a.denominator ? a : b;

/** p·count, at most 1. */
export function countTimes({ numerator, denominator }: Ratio, count: number): Ratio {
  const product = numerator * BigInt(count);
  return product >= denominator ? CERTAIN : { numerator: product, denominator };
}

/** Whether p · times <= level, in integers: a word must not hang on the last bit of a logarithm. */
export const atMost = (p: Ratio, times: bigint, level: Ratio): boolean =>
  p.numerator * times * level.denominator <= level.numerator * p.denominator;

/** `count` looks at the data, of which the best is told (Bonferroni): p·count, at most 1. */
export function timesCount({ p_value, log10_p }: PValue, count: number): PValue {
  if (count === 1) return { p_value, log10_p };
  return { p_value: Math.min(1, p_value * count), log10_p: Math.min(0, log10_p + Math.log10(count)) };
}
