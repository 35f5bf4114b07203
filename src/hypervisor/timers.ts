/** The timers of one vCPU that end in events. Times are system time in nanoseconds. */

import { SHUTDOWN } from "../abi/sched.ts";

/** Watchdogs a domain may have. Xen: NR_DOMAIN_WATCHDOG_TIMERS */
const WATCHDOGS = 2;

/** What was due. */
export interface Due {
  /** How often VIRQ_TIMER is to be raised. Ticks of a periodic timer that were missed count once. */
  readonly ticks: number;
  /** A SCHEDOP_poll has waited long enough. */
  readonly poll: boolean;
  /** The reason with which a watchdog that nobody poked ends the domain. */
  readonly watchdog: number | undefined;
}

/** The timers of one vCPU, on its worker. */
export class Timers {
  /** VCPUOP_set_singleshot_timer and set_timer_op, which share one timer. Infinity when off, as all here. */
  singleshot = Infinity;
  poll = Infinity;
  #period = Infinity;
  #nextPeriod = Infinity;
  readonly #watchdogs = Array.from({ length: WATCHDOGS }, () => Infinity);
  /** The first of them. */
  #firstWatchdog = Infinity;

  /** VIRQ_TIMER every `period` from `now` on. */
  startPeriodic(now: number, period: number): void {
    this.#period = period;
    this.#nextPeriod = now + period;
  }

  stopPeriodic(): void {
    this.#nextPeriod = Infinity;
  }

  /** Sets a watchdog that is not in use. @returns its id, from 1, or undefined when there is none left. */
  addWatchdog(deadline: number): number | undefined {
    const free = this.#watchdogs.findIndex((when) => when === Infinity);
    if (free < 0) return undefined;
    this.#putWatchdog(free, deadline);
    return free + 1;
  }

  /** Pokes a watchdog, or with Infinity removes it. @returns false when none of this id is in use. */
  setWatchdog(id: number, deadline: number): boolean {
    if ((this.#watchdogs[id - 1] ?? Infinity) === Infinity) return false;
    this.#putWatchdog(id - 1, deadline);
    return true;
  }

  #putWatchdog(index: number, deadline: number): void {
    this.#watchdogs[index] = deadline;
    this.#firstWatchdog = Math.min(...this.#watchdogs);
  }

  /** When the first one is due. */
  next(): number {
    return Math.min(this.singleshot, this.poll, this.#nextPeriod, this.#firstWatchdog);
  }

  /** Takes what is due at `now`, and sets the periodic timer to its next time. */
  take(now: number): Due {
    let ticks = 0;
    if (this.singleshot <= now) {
      this.singleshot = Infinity;
      ticks++;
    }
    if (this.#nextPeriod <= now) {
      this.#nextPeriod += Math.ceil((now - this.#nextPeriod + 1) / this.#period) * this.#period;
      ticks++;
    }
    const poll = this.poll <= now;
    if (poll) this.poll = Infinity;
    const expired = this.#watchdogs.findIndex((when) => when <= now);
    if (expired >= 0) this.#putWatchdog(expired, Infinity);
    return { ticks, poll, watchdog: expired >= 0 ? SHUTDOWN.watchdog : undefined };
  }
}
