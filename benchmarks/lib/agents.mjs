import { fork } from 'node:child_process';

const file = new URL('./agent.mjs', import.meta.url);

/** The agents of one run: a process for each contender, started when first used and replaced when it fails. */
export class Agents {
  #byContender = new Map();

  /**
   * One turn of one contender.
   *
   * @returns {Promise<{ metrics?: Record<string, unknown>, error?: string }>} never rejects: a failure is a result
   */
  async turn({ caseId, contenderId, threads, params, timeoutMs, isolate }) {
    const agent = isolate ? spawn() : this.#agent(contenderId);
    const answer = await ask(agent, { caseId, contenderId, threads, params }, timeoutMs);
    const healthy = answer.error === undefined && answer.metrics?.note === undefined;
    if (isolate || !healthy) {
      if (!isolate) this.#byContender.delete(contenderId);
      await end(agent);
    }
    return answer;
  }

  async close() {
    await Promise.all([...this.#byContender.values()].map(end));
    this.#byContender.clear();
  }

  #agent(contenderId) {
    let agent = this.#byContender.get(contenderId);
    if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) {
      agent = spawn();
      this.#byContender.set(contenderId, agent);
    }
    return agent;
  }
}

function spawn() {
  // A contender arms timers beyond 2 ** 31 ms, each with a warning that would drown the progress line.
  // 'advanced' so that typed arrays in parameters arrive as such.
  return fork(file, {
    execArgv: ['--expose-gc', '--disable-warning=TimeoutOverflowWarning'],
    serialization: 'advanced',
  });
}

function ask(agent, message, timeoutMs) {
  return new Promise((resolve) => {
    const finish = (answer) => {
      clearTimeout(timer);
      agent.removeAllListeners('message').removeAllListeners('exit').removeAllListeners('error');
      // Without a listener an error event of a dying child would end the whole run.
      agent.on('error', () => {});
      resolve(answer);
    };
    const timer = setTimeout(() => finish({ error: `no result within ${timeoutMs / 1000} s` }), timeoutMs);
    agent.once('message', finish);
    agent.once('error', (error) => finish({ error: `process failed: ${error.message}` }));
    agent.once('exit', (code, signal) => finish({ error: `process ended (${signal ?? `code ${code}`})` }));
    agent.send(message);
  });
}

function end(agent) {
  if (agent.exitCode !== null || agent.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    agent.once('exit', resolve);
    agent.kill('SIGKILL');
  });
}
