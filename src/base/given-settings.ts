// Settings as a caller gives them: a program's own numbers and booleans, or the texts of a command line.

export type GivenSettings = Readonly<Record<string, string | number | boolean>>;

/** As one writes them after `key=`; what they must be is checked in one place, where texts are read. */
export const settingTexts = (given: GivenSettings = {}): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(given).map(([key, value]) => [key, String(value)]));
