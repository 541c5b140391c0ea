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
import type { ContainerContext, CpuContext, Degradation, TopologyHints } from './types.ts';

/** Options of {@link NodeSystems.detect}. */
export interface NodeSystemsOptions extends SystemsOptions {
  /** Where `/sys` and `/proc` are: another root is a recorded machine. Default: `'/'`. */
  readonly root?: string;
  /** Environment variables to find Kubernetes' facts in. Default: those of the process; none with another root. */
  readonly env?: Environment;
  /** Milliseconds between two looks for a cpuset or a quota that has changed, while a runtime is open. Infinity: never. Default: 2000. */
  readonly watchMs?: number;
}

/** What was seen when it was last looked for changes. */
interface Look {
  readonly cpus: readonly number[];
  /** Infinity: none. */
  readonly quotaCpus: number;
  readonly faults: readonly Degradation[];
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
  #seen: Look;

  /** Use {@link NodeSystems.detect}. */
  private constructor(options: NodeSystemsOptions) {
    const { root = '/' } = options;
    const parts =
      root === '/'
        ? {
            ...options.parts,
            numa:
              options.parts?.numa ??
              new ProcessNodes(() => this.topology(), {
                id: threadId,
                pin: pinThread,
                isPinned: () => cpusBeforePinning() !== undefined,
                currentCpu: () => this.#currentCpu(new Reading(this.#files)),
              }),
          }
        : options.parts;
    super(parts === undefined ? options : { ...options, parts });
    this.#isHere = root === '/';
    this.#files = filesBelow(root);
    this.#env = options.env ?? (this.#isHere ? process.env : {});
    this.#qosClass = options.qosClass;
    this.#watchMs = options.watchMs ?? DEFAULT_WATCH_MS;
    this.#topology = this.readTopology();
    const { cpu, degradations } = this.readContainer();
    this.#seen = this.#look(cpu, degradations);
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
   * Looks whether the CPUs that are allowed, or the quota, have become less, and whether something can be read no more, and tells those who listen with
   * `onDegradation`. Done every `watchMs` while a runtime is open; what runs goes on in any case, and pools keep their size.
   */
  checkLimits(): void {
    const before = this.#seen;
    this.readTopology();
    // One reading for both: the next one may see what changed in between.
    const { cpu, workers, degradations } = this.readContainer();
    this.#seen = this.#look(cpu, degradations);
    for (const each of this.#seen.faults.filter(({ what, reason, path }) =>
      before.faults.every((old) => old.what !== what || old.reason !== reason || old.path !== path),
    ))
      this.degrade(each);
    const { cpus, quotaCpus } = this.#seen;
    const would = workers === 1 ? '1 worker' : `${workers} workers`;
    if (before.cpus.some((id) => !cpus.includes(id))) {
      this.degrade({
        what: 'cpuset',
        reason: `has shrunk from ${formatIdList(before.cpus)} to ${formatIdList(cpus)}: threads share what is left; ${would} would do`,
      });
    }
    if (quotaCpus < before.quotaCpus) {
      const was = Number.isFinite(before.quotaCpus) ? before.quotaCpus : 'none';
      this.degrade({
        what: 'cpu quota',
        reason: `has shrunk from ${was} to ${quotaCpus} CPUs: ${would} would do`,
      });
    }
  }

  /** What cannot be read now is as it was when it last could be: its coming back is no change. */
  #look(cpu: CpuContext, degradations: readonly Degradation[]): Look {
    const isAssumed = this.#topology.source === 'os';
    const faults = isAssumed ? [...this.#topology.degradations, ...degradations] : degradations;
    const isKnown = (...names: readonly string[]): boolean =>
      !faults.some(({ what }) => names.some((name) => what.startsWith(name)));
    const { cpus = cpu.allowedCpus, quotaCpus = cpu.quotaCpus ?? Number.POSITIVE_INFINITY } =
      this.#seen ?? {};
    return {
      cpus: !isAssumed && isKnown('allowed cpus', 'affinity', 'cgroup', 'cpuset') ? cpu.allowedCpus : cpus,
      quotaCpus: isKnown('cpu quota', 'cgroup') ? (cpu.quotaCpus ?? Number.POSITIVE_INFINITY) : quotaCpus,
      faults,
    };
  }

  protected override warn(message: string): void {
    process.emitWarning(`heddle systems: ${message}`, 'HeddleWarning');
  }
}
