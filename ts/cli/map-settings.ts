/** What `heddle map` was asked to do. */
export interface MapSettings {
  /** `<module>#<export>`. */
  readonly task: string;
  /** Files, folders, globs, or '-'. */
  readonly inputs: readonly string[];
  readonly threads: number;
  /** Async tasks under way in each worker. */
  readonly concurrency: number;
  readonly ordered?: boolean;
  readonly json?: boolean;
  /** Milliseconds for each input; default: no limit. */
  readonly timeout?: number;
  /** Runs beyond the first. */
  readonly retries: number;
  readonly failFast?: boolean;
  readonly dot?: boolean;
  /** File for the trace. */
  readonly trace?: string;
}
