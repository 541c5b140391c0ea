/** Worker threads that make sense: one for each CPU, and not more than the quota, rounded up, could keep busy. At least 1. */
export function workersFor(cpus: number, quotaCpus: number | undefined): number {
  return Math.max(1, Math.min(cpus, Math.ceil(quotaCpus ?? cpus)));
}
