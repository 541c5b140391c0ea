import type { Platform } from '../platform/port.ts';
import type { TaskPool } from '../pool/task-pool.ts';
import type { PoolOptions } from '../pool/types.ts';
import { openRuntime, type RuntimeOptions } from './runtime.ts';

/** A pool with a runtime of its own, which goes when the pool does. */
export async function createStandalonePool<M>(
  platform: Platform,
  options: PoolOptions & RuntimeOptions,
): Promise<TaskPool<M>> {
  const { memoryBytes, ...poolOptions } = options ?? {};
  const runtime = await openRuntime(platform, memoryBytes === undefined ? {} : { memoryBytes });
  const pool = await runtime.createPool<M>(poolOptions);
  pool.whenClosed(() => void runtime.dispose());
  return pool;
}
