/** Checks of lock order, as locks call them. Addresses are those of the kernel. */
export interface OrderChecks {
  /** Address of this thread's context in the graph; 0 before its first check, or when the memory is full. */
  readonly opened: number;
  /**
   * Looks at every lock that `owner` holds -> `lock`, before `lock` is taken. Called only when the owner holds something and the order mode of
   * `lock` is not off.
   *
   * @throws {HeddleError} ERR_LOCK_ORDER in mode `'throw'`.
   */
  before(owner: number, lock: number): void;
  /** A lock is gone: nothing of it may be learned by the next one with its number. False when that cannot be done yet. */
  forget(lock: number): boolean;
}
