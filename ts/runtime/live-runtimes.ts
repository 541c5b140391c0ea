import type { Runtime } from './runtime.ts';

/** The runtimes of this thread, for whoever watches the process. Held weakly: a runtime that was dropped without `dispose` goes as if nobody watched. */
const runtimes = new Set<WeakRef<Runtime>>();

/** A runtime was made. */
export function noteRuntime(runtime: Runtime): void {
  for (const known of runtimes) if (known.deref() === undefined) runtimes.delete(known);
  runtimes.add(new WeakRef(runtime));
}

/** A runtime was disposed. */
export function forgetRuntime(runtime: Runtime): void {
  for (const known of runtimes) if (known.deref() === runtime) runtimes.delete(known);
}

/** Those that are not disposed, oldest first. */
export function liveRuntimes(): Runtime[] {
  return [...runtimes].map((known) => known.deref()).filter((runtime) => runtime !== undefined);
}
