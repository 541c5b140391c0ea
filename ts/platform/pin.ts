/** What pins a thread to a NUMA node. */
export interface PinRequest {
  /** Undefined: none. The thread runs on all of `cpus`, and its memory comes from where the system likes. */
  readonly node: number | undefined;
  /** CPUs of the node that this process may use; all that it may use where there is no node. */
  readonly cpus: readonly number[];
}

/** What pinning a thread brought about; read back, not assumed. */
export interface PinResult {
  /** The thread runs on the CPUs of the node and on no others. */
  readonly isPinned: boolean;
  /** CPUs that the thread may run on now; empty where that cannot be read. */
  readonly cpus: readonly number[];
  /** Where memory comes from that the thread touches first. `'default'`: where the system likes. */
  readonly memory: 'preferred' | 'default';
  /** By which means: `'syscall'` needs the package `koffi`; `'taskset'` the program; `'none'`: nothing worked. */
  readonly means: 'syscall' | 'taskset' | 'none';
  /** Why it is less than what was asked for. */
  readonly reason?: string;
}
