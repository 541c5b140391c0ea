// Knows every call that was made and what may become of it. Everything that goes wrong comes here, with what happened before.

/** Events that a violation shows. */
const RING = 200;
/** Violations that are reported in full. */
const REPORTS_MOST = 3;
/** After so many the rest says nothing new. */
const VIOLATIONS_MOST = 25;

/** One call, as the referee sees it. */
export class Referee {
  /** Milliseconds after which nothing may be pending. */
  patienceMs;
  /** What happens to a person who watches: counts by kind and outcome. */
  tally = new Map();
  violations = [];
  checks = 0;
  deaths = 0;
  calls = 0;
  settled = 0;
  worlds = 0;
  pools = 0;
  /** How often each kind of trouble came. */
  faults = { terminate: 0, exit: 0, heap: 0, crowd: 0, cancel: 0, scale: 0 };
  events = 0;
  #ring = [];
  #next = 0;
  #pending = new Set();
  #startedAt = performance.now();
  #describe;
  #onViolation;

  /** `describe` says in lines what there is, for whoever looks into a violation. */
  constructor({ patienceMs, describe, onViolation }) {
    this.patienceMs = patienceMs;
    this.#describe = describe;
    this.#onViolation = onViolation;
  }

  /** Notes an event in the ring that a violation prints. */
  note(text) {
    this.events++;
    this.#ring[this.#next++ % RING] = `${((performance.now() - this.#startedAt) / 1000).toFixed(3)} ${text}`;
  }

  /** The last events, oldest first. */
  get recent() {
    const from = Math.max(0, this.#next - RING);
    return Array.from({ length: this.#next - from }, (_, i) => this.#ring[(from + i) % RING]);
  }

  /** An invariant: `what` says what was expected. */
  expect(holds, what) {
    this.checks++;
    if (!holds) this.violate(typeof what === 'function' ? what() : what);
  }

  violate(what) {
    this.note(`VIOLATION ${what}`);
    this.violations.push(what);
    if (this.violations.length <= REPORTS_MOST)
      this.#onViolation({ what, events: this.recent, state: this.#describe() });
  }

  /**
   * Notes that a promise is waited for. Whatever stays pending for longer than the patience is a violation, unless `progress()` changes
   * meanwhile: on a machine with too much to do a pool may be slow, but it must not stand still.
   */
  watch(name, promise, progress = () => 0) {
    const entry = {
      name,
      progress,
      seen: progress(),
      until: performance.now() + this.patienceMs,
      told: false,
    };
    this.#pending.add(entry);
    const done = () => this.#pending.delete(entry);
    promise.then(done, done);
    return promise;
  }

  /** Looks for what is overdue. */
  look(now = performance.now()) {
    for (const entry of this.#pending) {
      if (entry.told || now < entry.until) continue;
      const seen = entry.progress();
      if (seen !== entry.seen) {
        entry.seen = seen;
        entry.until = now + this.patienceMs;
        continue;
      }
      entry.told = true;
      this.violate(`${typeof entry.name === 'function' ? entry.name() : entry.name} is pending for too long`);
    }
  }

  /** Has enough gone wrong to stop? */
  get isOver() {
    return this.violations.length >= VIOLATIONS_MOST;
  }

  get pending() {
    return this.#pending.size;
  }

  /** Names of what is waited for, most frequent first. */
  get pendingNames() {
    const counts = new Map();
    for (const { name } of this.#pending) {
      const text = typeof name === 'function' ? name().replace(/#\d+/, '') : name;
      counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return [...counts].sort((a, b) => b[1] - a[1]).map(([text, count]) => `${count} x ${text}`);
  }

  count(kind, outcome) {
    let row = this.tally.get(kind);
    if (row === undefined) {
      row = {};
      this.tally.set(kind, row);
    }
    row[outcome] = (row[outcome] ?? 0) + 1;
  }
}
