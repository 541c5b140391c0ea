import type { Platform } from '../platform/port.ts';
import { provideStandalone } from '../pool/task-pool.ts';
import type { SystemsProvider } from '../systems/provider.ts';
import { openRuntime } from './runtime.ts';

/** Lets `TaskPool.create` make pools with a runtime of their own, which goes when the pool does. */
export function offerStandalonePools(platform: Platform, detect: () => SystemsProvider): void {
  provideStandalone(async (options) => {
    const { memoryBytes, ...poolOptions } = options ?? {};
    const runtime = await openRuntime(platform, detect, memoryBytes === undefined ? {} : { memoryBytes });
    try {
      const pool = await runtime.createPool(poolOptions);
      pool.whenClosed(() => void runtime.dispose());
      return pool;
    } catch (error) {
      await runtime.dispose();
      throw error;
    }
  });
}
