import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';

/**
 * Path of a command of yours that starts and stops a Kubernetes API server: `HEDDLE_KUBE_APISERVER`. It is not the server's own binary. Undefined, with a
 * line that says so, without one.
 *
 * | call | does |
 * | --- | --- |
 * | `COMMAND up` | starts a server, waits until it answers, ends with exit code 0, and prints a line with `KUBECONFIG=PATH` |
 * | `COMMAND down` | ends that server |
 *
 * PATH is a kubeconfig in YAML: its first cluster has the `server`, its first user a `token` that may make custom resource definitions and objects. The
 * certificate is not checked. In its environment the command finds KUBE_INSTANCE, the same name for `up` and `down`, and KUBE_READY_TIMEOUT, for how many seconds
 * it may wait.
 */
export function apiServerTool(): string | undefined {
  const tool = process.env.HEDDLE_KUBE_APISERVER;
  if (tool !== undefined && existsSync(tool)) return tool;
  console.warn(
    tool === undefined
      ? 'Tests are skipped: HEDDLE_KUBE_APISERVER is not set to the path of a command that starts a Kubernetes API server'
      : `Tests are skipped: there is no ${tool} (HEDDLE_KUBE_APISERVER)`,
  );
  return undefined;
}

/** What a server answered. */
export interface Answer {
  readonly status: number;
  readonly body: {
    readonly message?: string;
    readonly details?: {
      readonly causes?: readonly { readonly field?: string; readonly message?: string }[];
    };
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  };
}

/** An API server of its own, on the loopback interface. */
export class ApiServer {
  readonly #tool: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #url: string;
  readonly #token: string;
  readonly #agent: Agent;

  constructor(tool: string) {
    this.#tool = tool;
    this.#env = { KUBE_READY_TIMEOUT: '150', ...process.env, KUBE_INSTANCE: 'heddle-test' };
    const lines = execFileSync(tool, ['up'], { env: this.#env, encoding: 'utf8' });
    const path = /KUBECONFIG=['"]?([^'"\n]+)/.exec(lines)?.[1];
    if (path === undefined) throw new Error(`${tool} up printed no KUBECONFIG: ${lines}`);
    const config = parse(readFileSync(path, 'utf8')) as {
      clusters: { cluster: { server: string } }[];
      users: { user: { token: string } }[];
    };
    this.#url = config.clusters[0]!.cluster.server;
    this.#token = config.users[0]!.user.token;
    // It signs for itself, and is ours.
    this.#agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  }

  /** `type`: of the text that is sent. */
  send(method: string, path: string, text?: string, type = 'application/json'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(
        `${this.#url}${path}`,
        {
          method,
          agent: this.#agent,
          headers: {
            authorization: `Bearer ${this.#token}`,
            'content-type': type,
            accept: 'application/json',
          },
        },
        (response) => {
          let body = '';
          response.setEncoding('utf8').on('data', (piece: string) => {
            body += piece;
          });
          response.on('end', () => resolve({ status: response.statusCode!, body: read(body) }));
        },
      );
      sent.on('error', reject);
      sent.end(text);
    });
  }

  stop(): void {
    this.#agent.destroy();
    execFileSync(this.#tool, ['down'], { env: this.#env });
  }
}

/** A group that is not there yet is told of in plain words. */
function read(text: string): Answer['body'] {
  try {
    return JSON.parse(text) as Answer['body'];
  } catch {
    return { message: text };
  }
}
