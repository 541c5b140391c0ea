import { parseGoDuration } from './go-duration.ts';
import { lockPolicySchema } from './schema.ts';

const { properties } = lockPolicySchema;

/** What to say of a text that a pattern of the schema refuses, as nobody reads patterns. */
const WORDS: ReadonlyMap<string, (text: string) => string> = new Map([
  [properties.maxHoldTime.pattern, whyNoDuration],
  [properties.retryPolicy.properties.backoffBase.pattern, whyNoDuration],
  [properties.maxHoldTime.allOf[0].pattern, whyNull],
  [
    properties.containerID.pattern,
    (text) => `must be the id of a container, such as "containerd://3f4c…", not ${JSON.stringify(text)}`,
  ],
]);

/** Why `text` does not match `pattern`; undefined: another pattern has said so. */
export function whyNoMatch(text: string, pattern: string): string | undefined {
  const why = WORDS.get(pattern);
  if (why === undefined) return `must match ${pattern}, and ${JSON.stringify(text)} does not`;
  return why(text) || undefined;
}

function whyNoDuration(text: string): string {
  const parsed = parseGoDuration(text);
  return 'ns' in parsed ? `must not be negative: ${JSON.stringify(text)}` : parsed.reason;
}

function whyNull(text: string): string {
  return 'ns' in parseGoDuration(text) ? 'must be longer than 0; leave it out for no limit' : '';
}
