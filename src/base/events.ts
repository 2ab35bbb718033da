// What a long call tells its caller while it runs. Library calls take an `onEvent`; only cli/ draws.

export type ProgressEvent =
  | { kind: 'phase'; name: string; detail?: string }
  | {
      kind: 'progress';
      name: string;
      done: number;
      total: number;
      note?: string;
      /** A step of training: what `onEvent` throws here ends the call, and the step is kept on disk. */
      keeps?: true;
    }
  | { kind: 'note'; text: string };

export type OnEvent = (event: ProgressEvent) => void;

export const silent: OnEvent = () => {};
