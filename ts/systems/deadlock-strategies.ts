import { InvalidTypeError } from '../errors.ts';
import { type DeadlockResolver, decide, isBuiltIn } from '../locks/resolver.ts';
import type { Deadlock, ResolutionAction, ResolutionStrategy } from '../locks/types.ts';
import { describe } from '../options.ts';
import type { DeadlockResolution } from './provider.ts';

/** The strategies of all runtimes that use one provider: what is registered or chosen here counts for each of them, also for later ones. */
export class DeadlockStrategies implements DeadlockResolution {
  readonly #resolvers = new Set<DeadlockResolver>();
  readonly #registered = new Map<string, ResolutionStrategy>();
  #name: string | undefined;

  /** @throws {InvalidTypeError} ERR_INVALID_ARGUMENT when no strategy has that name. */
  constructor(name: string | undefined) {
    if (name !== undefined) this.strategy = name;
  }

  /** A runtime takes part. Returns what ends that. */
  add(resolver: DeadlockResolver): () => void {
    for (const [name, strategy] of this.#registered) resolver.registerStrategy(name, strategy);
    if (this.#name !== undefined) resolver.strategy = this.#name;
    this.#resolvers.add(resolver);
    return () => this.#resolvers.delete(resolver);
  }

  /** Name of what was chosen here; else that of the first runtime; else `'abort-requester'`. */
  get strategy(): string {
    const [first] = this.#resolvers;
    return this.#name ?? first?.strategy ?? 'abort-requester';
  }

  set strategy(name: string) {
    if (!isBuiltIn(name) && !this.#registered.has(name)) {
      throw new InvalidTypeError(
        `no strategy for deadlocks is named ${describe(name)}: register it first, or take one that is built in`,
      );
    }
    this.#name = name;
    for (const resolver of this.#resolvers) resolver.strategy = name;
  }

  registerStrategy(name: string, strategy: ResolutionStrategy): void {
    if (typeof name !== 'string' || isBuiltIn(name))
      throw new InvalidTypeError(
        `registerStrategy() takes a name that is not built in, not ${describe(name)}`,
      );
    if (typeof strategy !== 'function')
      throw new InvalidTypeError(`registerStrategy() takes a function, not ${describe(strategy)}`);
    this.#registered.set(name, strategy);
    for (const resolver of this.#resolvers) resolver.registerStrategy(name, strategy);
  }

  resolve(deadlock: Deadlock): ResolutionAction {
    return decide(this.#registered.get(this.strategy) ?? this.strategy, deadlock);
  }
}
