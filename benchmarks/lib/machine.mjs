import { execFileSync } from 'node:child_process';
import os from 'node:os';

/** What a reader needs to judge the figures. */
export function describeMachine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round((os.totalmem() / 2 ** 30) * 10) / 10,
    os: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    v8: process.versions.v8,
    commit: commitHash(),
    date: new Date().toISOString(),
    loadAverageAtStart: os.loadavg()[0],
  };
}

/** The commit measured, marked when files that are not committed took part. */
function commitHash() {
  const git = (...args) =>
    execFileSync('git', args, {
      cwd: new URL('.', import.meta.url),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  try {
    const hash = git('rev-parse', 'HEAD');
    return git('status', '--porcelain', '--untracked-files=no') === '' ? hash : `${hash} (modified)`;
  } catch {
    return 'unknown';
  }
}
