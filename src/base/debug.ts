// What WHORL_DEBUG (1 to 4) and WHORL_CHECK ask for, and where its lines go: to stderr, whoever calls the library.

/** 1: phases · 2: programs and runs · 3: graphs in the debug folder · 4: a profile of each program. 0: nothing. */
export function debugLevel(): number {
  const text = process.env.WHORL_DEBUG ?? '';
  if (text === '' || text === '0') return 0;
  const level = Number(text);
  return Number.isInteger(level) && level > 0 ? Math.min(level, 4) : 1;
}

/** Whether every program says where the first value that is not finite comes from. */
export const checksFinite = (): boolean => !['', '0'].includes(process.env.WHORL_CHECK ?? '');

export const debugFolder = (): string => process.env.WHORL_DEBUG_DIR ?? 'whorl-debug';

/** The command line puts its own in, which makes room on the terminal first. */
export const debugOut = {
  line: (text: string): void => {
    process.stderr.write(`${text}\n`);
  },
};

export const debug = (text: string): void => debugOut.line(`debug: ${text}`);

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
export const rssText = (): string => `RSS ${megabytes(process.memoryUsage.rss())}`;
export { megabytes };
