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

/** How long polling may go on without an outcome where it pays, and where it does not. */
const WINDOW_MOST_MS = 0.1;
const WINDOW_LEAST_MS = 0.005;
/** Where tasks are short an outcome is due as soon as a thread has woken, which takes up to this long on a busy machine. */
const PROMPT_WINDOW_MS = 0.3;
/** Where tasks are short, an outcome that rings within this time would better have been polled for. */
const PROMPT_NEAR_MISS_MS = 1;
/** Polling pays while an outcome is expected within this time: a ring costs about as much, on both sides together. */
const WORTH_POLLING_MS = 0.06;
/** A single longer wait counts as this much, so that one long task among short ones is soon forgotten. */
const LONG_WAIT_MS = 0.2;
/** While a long queue is worked off, outcomes are fetched this often instead of ringing one by one: each ring would interrupt a worker. */
const NAP_MS = 8;
/** A nap is at most this share of the time that the queue will take. */
const NAP_SHARE = 1 / 16;
/** A time between outcomes counts as at most so many times the average: one stall of the machine says nothing of what comes next. */
const GAP_GROWTH = 4;
const GAP_LEAST_MS = 0.001;
/** Weight of the newest wait in the average. */
const NEWEST = 0.25;

/**
 * Brings outcomes to a thread that has an event loop of its own. While calls are outstanding it polls, one look for each turn of the event
 * loop, for a short window in which an answer is likely; then it arms the doorbell and waits without a timeout (assembly/completions.ts).
 * Polling takes time from the workers where there are no more cores than workers, so it goes by the average wait for an outcome: where
 * that is longer than a ring costs, the doorbell is armed at once. With nothing outstanding it does nothing, and lets the process exit.
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
  readonly #onNapEnd = (): void => {
    this.#endNap = undefined;
    this.#turn(false);
  };
  readonly #onNapCut = (): void => this.#turn(false);
  #running = false;
  #held = false;
  #armed = false;
  /** A waitAsync that has not been notified yet: it stays good for the next time we arm. */
  #waiting = false;
  /** Ends a nap early. */
  #endNap: (() => void) | undefined;
  /** The next wait is for the doorbell. */
  #noNap = false;
  #window = WINDOW_MOST_MS;
  /** How long an outcome lets us wait, on average. */
  #expectedMs = 0;
  #pollFrom = 0;
  /** Time between outcomes, on average. */
  #gapMs = 0;
  #drainedAt = 0;
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
    } else if (this.#endNap !== undefined) {
      // What is submitted in a nap does not answer an outcome: it is no part of what is worked off, and may be of a higher class.
      this.#endNap();
      this.#endNap = undefined;
      this.#noNap = true;
      this.#platform.turn(this.#onNapCut);
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
    this.#pollFrom = this.#clock.now();
    this.#pollUntil = this.#pollFrom + this.#window;
    this.#platform.turn(this.#onTurn);
  }

  #learn(waitedMs: number): void {
    this.#expectedMs += (Math.min(waitedMs, LONG_WAIT_MS) - this.#expectedMs) * NEWEST;
    this.#window = this.#expectedMs <= WORTH_POLLING_MS ? WINDOW_MOST_MS : WINDOW_LEAST_MS;
  }

  /** `polled`: a turn of polling, not the answer to a ring. */
  #turn(polled: boolean): void {
    if (this.#armed) return;
    let out = 0;
    let drained = 0;
    let isWhole = false;
    try {
      for (const source of this.#sources) {
        out += source.out;
        drained += source.drain();
      }
      isWhole = true;
    } finally {
      // Whatever one pool comes to, the others go on.
      if (!isWhole) this.#poll();
    }
    if (drained > 0) {
      const now = this.#clock.now();
      const gapMs = Math.min((now - this.#drainedAt) / drained, GAP_GROWTH * this.#gapMs + GAP_LEAST_MS);
      this.#gapMs += (gapMs - this.#gapMs) * NEWEST;
      this.#drainedAt = now;
      if (polled && this.#window < PROMPT_WINDOW_MS) this.#learn(this.#clock.now() - this.#pollFrom);
      // One more turn even when nothing is left: what follows an outcome usually submits again.
      this.#poll();
    } else if (out === 0) {
      this.#running = false;
      this.letGo();
    } else if (this.#clock.now() < this.#pollUntil) {
      this.#platform.turn(this.#onTurn);
    } else {
      if (this.#window > WINDOW_MOST_MS) this.#window = WINDOW_MOST_MS;
      this.letGo();
      const napMs = Math.min(NAP_MS, out * this.#gapMs * NAP_SHARE);
      const mayNap = !this.#noNap && napMs >= 1 && this.#gapMs < napMs / 2 && !this.#anyPrompt();
      this.#noNap = false;
      if (mayNap) this.#endNap = this.#platform.timer(this.#onNapEnd, napMs);
      else this.#arm();
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
    const waited = this.#clock.now() - this.#pollFrom;
    this.#learn(waited);
    if (waited < PROMPT_NEAR_MISS_MS && this.#anyPrompt()) this.#window = PROMPT_WINDOW_MS;
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
