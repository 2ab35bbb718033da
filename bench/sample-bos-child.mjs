// Our side of bench/sample-bos.ts: node bench/sample-bos-child.mjs MODEL COUNT BATCH NEW_TOKENS THREADS

import { openModel, sampleFromBos } from '../dist/index.js';

const [path, count, batch, tokens, threads] = process.argv.slice(2);
const model = await openModel(path);
const device = { provider: 'cpu', threads: Number(threads) };
const sample = (wanted, many, length) =>
  sampleFromBos({ model, device, count: wanted, batch: many, max_new_tokens: length });
const started = performance.now();
await sample(2, 2, 2); // compiling, and what only the first call costs
const compiled = (performance.now() - started) / 1e3;
const began = performance.now();
const texts = await sample(Number(count), Number(batch), Number(tokens));
console.log(
  JSON.stringify({
    // Each call compiles anew: that is left out of the rate, as the peer's loading is.
    seconds: (performance.now() - began) / 1e3 - compiled,
    tokens: texts.reduce((sum, { generated_token }) => sum + generated_token.length, 0),
    texts: texts.length,
    peak_rss_mb: Math.round((process.resourceUsage().maxRSS / 1e3) * 1.024),
  }),
);
