import { availableParallelism, totalmem } from 'node:os';
import { threadId } from 'node:worker_threads';
import { checkOptions, number, object, string } from '../options.ts';
import { BaseSystems, SYSTEMS_CHECKS, type SystemsOptions } from './base.ts';
import { findGroups } from './cgroup-groups.ts';
import type { Environment } from './container.ts';
import { readAllowed, readContainerContext } from './container-context.ts';
import { filesBelow } from './files.node.ts';
import { formatIdList } from './id-lists.ts';
import { ProcessNodes } from './numa/coordinator.ts';
import { cpusBeforePinning, pinThread } from './numa/pin.node.ts';
import { Reading, type SystemFiles } from './reading.ts';
import { readSysfs } from './sysfs.ts';
import { Topology } from './topology.ts';
import type { ContainerContext, CpuContext, TopologyHints } from './types.ts';

/** Options of {@link NodeSystems.detect}. */
export interface NodeSystemsOptions extends SystemsOptions {
  /** Where `/sys` and `/proc` are: another root is a recorded machine. Default: `'/'`. */
  readonly root?: string;
  /** Environment variables to find Kubernetes' facts in. Default: those of the process; none with another root. */
  readonly env?: Environment;
  /** Milliseconds between two looks for a cpuset or a quota that has changed, while a runtime is open. Infinity: never. Default: 2000. */
  readonly watchMs?: number;
}

const DEFAULT_WATCH_MS = 2000;
/** Timers keep their delay in 32 bits. */
const LONGEST_MS = 2 ** 31 - 1;

/** The system as Node sees it: on Linux from `/sys`, `/proc` and control groups, elsewhere from what `node:os` tells. Node only. */
export class NodeSystems extends BaseSystems {
  readonly #files: SystemFiles;
  readonly #env: Environment;
  readonly #isHere: boolean;
  readonly #qosClass: SystemsOptions['qosClass'];
  readonly #watchMs: number;
  #topology: TopologyHints;
  #timer: NodeJS.Timeout | undefined;
  #limits: CpuContext;

  /** Use {@link NodeSystems.detect}. */
  private constructor(options: NodeSystemsOptions) {
    const { root = '/' } = options;
    const parts =
      root === '/'
        ? {
            numa: new ProcessNodes(() => this.topology(), {
              id: threadId,
              pin: pinThread,
              isPinned: () => cpusBeforePinning() !== undefined,
              currentCpu: () => this.#currentCpu(new Reading(this.#files)),
            }),
            ...options.parts,
          }
        : options.parts;
    super(parts === undefined ? options : { ...options, parts });
    this.#isHere = root === '/';
    this.#files = filesBelow(root);
    this.#env = options.env ?? (this.#isHere ? process.env : {});
    this.#qosClass = options.qosClass;
    this.#watchMs = options.watchMs ?? DEFAULT_WATCH_MS;
    this.#topology = this.readTopology();
    this.#limits = this.readContainer().cpu;
  }

  /**
   * Reads the machine. What cannot be read is told in `degradations` of the topology and of the container context; nothing of it throws. Takes about ten
   * milliseconds, and blocks for so long.
   *
   * @throws {InvalidTypeError} ERR_INVALID_ARGUMENT for a wrong option.
   */
  static detect(options: NodeSystemsOptions = {}): NodeSystems {
    checkOptions(
      options,
      { ...SYSTEMS_CHECKS, root: string, env: object, watchMs: number(10, Number.POSITIVE_INFINITY) },
      'NodeSystems.detect()',
    );
    return new NodeSystems(options);
  }

  protected override topology(): TopologyHints {
    return this.#topology;
  }

  protected override readTopology(): TopologyHints {
    const reading = new Reading(this.#files);
    const allowed = readAllowed(reading, findGroups(reading), this.#cpusBeforePinning());
    this.#topology = readSysfs(this.#files, allowed, this.#currentCpu(reading)) ?? this.#assumed();
    return this.#topology;
  }

  /** Of another root it is the recorded mask that counts. */
  #cpusBeforePinning(): readonly number[] | undefined {
    return this.#isHere ? cpusBeforePinning() : undefined;
  }

  /** Where the system tells no more than how many CPUs there are. */
  #assumed(): TopologyHints {
    const cpus = Array.from({ length: this.#isHere ? availableParallelism() : 1 }, (_, id) => id);
    return new Topology({
      source: 'os',
      cpus,
      nodes: [{ id: 0, cpus, memoryBytes: this.#isHere ? totalmem() : 0 }],
      degradations:
        this.#isHere && process.platform !== 'linux'
          ? []
          : [
              {
                what: 'topology',
                reason: `is not told: /sys/devices/system/cpu is missing; ${cpus.length === 1 ? 'one CPU is' : `${cpus.length} CPUs are`} assumed`,
              },
            ],
    });
  }

  /** Field 39 of proc_pid_stat(5). The name in field 2 may hold anything, also blanks and brackets. */
  #currentCpu(reading: Reading): number | undefined {
    const stat = reading.optional('/proc/thread-self/stat') ?? '';
    const field = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[36];
    return field === undefined || field === '' ? undefined : Number(field);
  }

  protected override readContainer(): ContainerContext {
    return readContainerContext(new Reading(this.#files), {
      env: this.#env,
      qosClass: this.#qosClass,
      cpus: this.#topology.onlineCpus,
      affinity: this.#cpusBeforePinning(),
      totalBytes: this.#isHere ? totalmem() : undefined,
    });
  }

  protected override watch(on: boolean): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (!on || this.#watchMs > LONGEST_MS) return;
    this.#timer = setInterval(() => this.checkLimits(), this.#watchMs).unref();
  }

  /**
   * Looks whether the CPUs that are allowed, or the quota, have become less, and tells those who listen with `onDegradation`. Done every `watchMs` while a
   * runtime is open; what runs goes on in any case, and pools keep their size.
   */
  checkLimits(): void {
    const before = this.#limits;
    this.readTopology();
    // One reading for both: the next one may see what changed in between.
    const { cpu, workers } = this.readContainer();
    this.#limits = cpu;
    const { allowedCpus, quotaCpus = Number.POSITIVE_INFINITY } = cpu;
    if (before.allowedCpus.some((id) => !allowedCpus.includes(id))) {
      this.degrade({
        what: 'cpuset',
        reason: `has shrunk from ${formatIdList(before.allowedCpus)} to ${formatIdList(allowedCpus)}: threads share what is left; ${workers === 1 ? '1 worker' : `${workers} workers`} would do`,
      });
    }
    if (quotaCpus < (before.quotaCpus ?? Number.POSITIVE_INFINITY)) {
      this.degrade({
        what: 'cpu quota',
        reason: `has shrunk from ${before.quotaCpus ?? 'none'} to ${quotaCpus} CPUs: ${workers === 1 ? '1 worker' : `${workers} workers`} would do`,
      });
    }
  }

  protected override warn(message: string): void {
    process.emitWarning(`heddle systems: ${message}`, 'HeddleWarning');
  }
}
