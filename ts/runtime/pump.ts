import { AGENT_DOORBELL, BELL_ARMED } from '../../build/generated/layout.ts';
import type { Clock } from '../clock.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Platform } from '../platform/port.ts';

/** Something that has outcomes to take home. */
export interface Drainable {
  /** Takes what came. Returns how many. */
  drain(): number;
  /** Calls that are not settled yet: they keep the process alive. */
  readonly outstanding: number;
  /** Slots that are not home: while there are any, outcomes may come. */
  readonly out: number;
  /** Are its tasks so short that an outcome is mostly waiting for threads to wake? */
  readonly isPrompt: boolean;
}

/** The longest time in which polling may go on without an outcome, and the shortest that is worth a try. */
const WINDOW_MOST_MS = 0.1;
/** Where tasks are short an outcome is due as soon as a thread has woken, which takes up to this long on a busy machine. */
const PROMPT_WINDOW_MS = 0.3;
const WINDOW_LEAST_MS = 0.005;
/** An outcome that rings within this time of arming would better have been polled for: where tasks are short, with the waking of threads. */
const NEAR_MISS_MS = 0.15;
const PROMPT_NEAR_MISS_MS = 1;

/**
 * Brings outcomes to a thread that has an event loop of its own. While calls are outstanding it polls, one look for each turn of the event
 * loop, for a short window in which an answer is likely; then it arms the doorbell and waits without a timeout (assembly/completions.ts).
 * The window doubles when polling paid and halves when it did not, so long tasks cost no polling. With nothing outstanding it does
 * nothing, and lets the process exit.
 */
export class Pump {
  readonly #kernel: Kernel;
  readonly #agent: number;
  readonly #bell: number;
  readonly #platform: Platform;
  readonly #clock: Clock;
  readonly #sources = new Set<Drainable>();
  readonly #keepAlive: { ref(): void; unref(): void };
  readonly #onTurn = (): void => this.#turn(true);
  readonly #onRing = (): void => this.#rung();
  #running = false;
  #held = false;
  #armed = false;
  /** A waitAsync that has not been notified yet: it stays good for the next time we arm. */
  #waiting = false;
  #armedAt = 0;
  #window = WINDOW_MOST_MS;
  #pollUntil = 0;

  constructor(kernel: Kernel, agent: number, platform: Platform, clock: Clock) {
    this.#kernel = kernel;
    this.#agent = agent;
    this.#bell = (agent + AGENT_DOORBELL) >>> 2;
    this.#platform = platform;
    this.#clock = clock;
    this.#keepAlive = platform.keepAlive();
  }

  add(source: Drainable): void {
    this.#sources.add(source);
  }

  remove(source: Drainable): void {
    this.#sources.delete(source);
  }

  /** Called when a slot went out. */
  start(): void {
    if (!this.#held) {
      this.#held = true;
      this.#keepAlive.ref();
    }
    if (!this.#running) {
      this.#running = true;
      this.#poll();
    } else if (this.#armed && this.#window >= WINDOW_MOST_MS) {
      this.#disarm();
      this.#poll();
    }
  }

  /** Lets the process exit, unless a call is still open. */
  letGo(): void {
    if (!this.#held) return;
    for (const source of this.#sources) if (source.outstanding > 0) return;
    this.#held = false;
    this.#keepAlive.unref();
  }

  #poll(): void {
    this.#pollUntil = this.#clock.now() + this.#window;
    this.#platform.turn(this.#onTurn);
  }

  /** `polled`: a turn of polling, not the answer to a ring. */
  #turn(polled: boolean): void {
    if (this.#armed) return;
    let out = 0;
    let drained = 0;
    for (const source of this.#sources) {
      out += source.out;
      drained += source.drain();
    }
    if (drained > 0) {
      // Only an outcome that polling met says that polling pays; one that rang would make every long task cost a window of it.
      if (polled) this.#window = Math.max(this.#window, Math.min(WINDOW_MOST_MS, this.#window * 2));
      // One more turn even when nothing is left: what follows an outcome usually submits again.
      this.#poll();
    } else if (out === 0) {
      this.#running = false;
      this.letGo();
    } else if (this.#clock.now() < this.#pollUntil) {
      this.#platform.turn(this.#onTurn);
    } else {
      this.#window = Math.max(WINDOW_LEAST_MS, this.#window / 2);
      this.letGo();
      this.#arm();
    }
  }

  #arm(): void {
    const { calls, i32 } = this.#kernel;
    this.#armed = true;
    calls.armDoorbell(this.#agent);
    let drained = 0;
    for (const source of this.#sources) drained += source.drain();
    if (drained > 0) {
      this.#disarm();
      this.#poll();
      return;
    }
    this.#armedAt = this.#clock.now();
    if (this.#waiting) return;
    const wait = Atomics.waitAsync(i32, this.#bell, BELL_ARMED);
    if (wait.async) {
      this.#waiting = true;
      void wait.value.then(this.#onRing);
    } else {
      this.#disarm();
      this.#poll();
    }
  }

  #rung(): void {
    this.#waiting = false;
    if (!this.#armed) return;
    const waited = this.#clock.now() - this.#armedAt;
    if (waited < PROMPT_NEAR_MISS_MS && this.#anyPrompt()) this.#window = PROMPT_WINDOW_MS;
    else if (waited < NEAR_MISS_MS) this.#window = WINDOW_MOST_MS;
    this.#disarm();
    this.#turn(false);
  }

  #anyPrompt(): boolean {
    for (const source of this.#sources) if (source.out > 0 && source.isPrompt) return true;
    return false;
  }

  #disarm(): void {
    this.#armed = false;
    this.#kernel.calls.quietDoorbell(this.#agent);
  }
}
