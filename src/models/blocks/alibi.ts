// The slopes of ALiBi (Press et al. 2022), as the paper's code has them for any number of heads.

/**
 * One slope a head: 2^(−8/n), its square, its cube … for n heads, n a power of two. For other numbers those of the power
 * below, then every second one of the power above. Rounded to float32.
 */
export function slopesOf(heads: number): number[] {
  const below = 2 ** Math.floor(Math.log2(heads));
  const powers = (of: number, exponents: readonly number[]) => {
    const base = Math.fround(2 ** -(2 ** -(Math.log2(of) - 3)));
    return exponents.map((exponent) => Math.fround(base ** exponent));
  };
  return [
    ...powers(
      below,
      Array.from({ length: below }, (_, i) => i + 1),
    ),
    ...powers(
      2 * below,
      Array.from({ length: heads - below }, (_, i) => 2 * i + 1),
    ),
  ];
}
