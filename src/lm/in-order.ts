// Results of batches that were sorted by size, back in the order of their requests.

/** Results that come out of order, in order, each as soon as those before it are there. */
export async function* inOrder<T extends { readonly index: number }>(
  results: AsyncIterable<T>,
): AsyncGenerator<T> {
  const waiting = new Map<number, T>();
  let next = 0;
  for await (const result of results) {
    waiting.set(result.index, result);
    for (let ready = waiting.get(next); ready !== undefined; ready = waiting.get(next)) {
      waiting.delete(next++);
      yield ready;
    }
  }
}
