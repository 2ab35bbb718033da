// npx tsx scripts/embedded/make.ts: the whole recipe in its order. Training resumes from its last checkpoint.

await import('./make-tokenizer.ts');
await import('./make-texts.ts');
await import('./train.ts');
await import('./evaluate.ts');
