import type { ContextMutex } from '../locks/context-mutex.ts';
import type { MutexOptions } from '../locks/types.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { AnyTasks, PoolOptions } from '../pool/types.ts';

/** Options of `rt.aiScheduler()`: those of its pool, and of its lock. */
export interface AISchedulerOptions extends PoolOptions {
  /** Options of the critical section. Default: those of any lock. */
  readonly lock?: MutexOptions;
}

/**
 * What numeric work wants of a runtime: a pool that runs pieces in parallel, and one critical section in which they put their results together. Closing it closes the
 * pool.
 */
export class AIWorkScheduler<M = AnyTasks> implements AsyncDisposable {
  readonly #pool: TaskPool<M>;
  readonly #mutex: ContextMutex;

  /** @internal Use `rt.aiScheduler`. */
  constructor(pool: TaskPool<M>, mutex: ContextMutex) {
    this.#pool = pool;
    this.#mutex = mutex;
  }

  /** The pool: the same at each call. All of its workers run. */
  parallelTaskPool(): TaskPool<M> {
    return this.#pool;
  }

  /** The lock: the same at each call. In a task it is `runtime().mutex(name)`, with the `name` that it has here. */
  criticalSection(): ContextMutex {
    return this.#mutex;
  }

  /** Takes no more calls, lets those accepted end, then ends the workers. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.shutdown();
  }
}
