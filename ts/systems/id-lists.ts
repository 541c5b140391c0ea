/** Ids beyond are taken for a broken file: Linux knows 8192 CPUs and 1024 nodes at most. */
const GREATEST_ID = 65_535;

/** What the kernel appends to some lists: a newline, and zeros from a buffer that was too long. */
function trimmed(text: string): string {
  return text.replace(/[\s\0]+$/, '').trim();
}

/** Ids of a list such as `0-3,8`, rising. Undefined for anything else; an empty list is one. */
export function parseIdList(text: string): number[] | undefined {
  const list = trimmed(text);
  if (list === '') return [];
  const ids = new Set<number>();
  for (const part of list.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (last < first || last > GREATEST_ID) return undefined;
    for (let id = first; id <= last; id++) ids.add(id);
  }
  return [...ids].sort((a, b) => a - b);
}

/** Ids of a map such as `0000,0000003f`: hexadecimal words of 32 bits, the highest first. Undefined for anything else. */
export function parseIdMap(text: string): number[] | undefined {
  const words = trimmed(text).split(',').reverse();
  const ids: number[] = [];
  for (const [i, word] of words.entries()) {
    if (!/^[0-9a-f]{1,8}$/i.test(word)) return undefined;
    const bits = Number.parseInt(word, 16);
    for (let bit = 0; bit < 32; bit++) if ((bits >>> bit) & 1) ids.push(i * 32 + bit);
  }
  return ids;
}

/** Ids as a list such as `0-3,8`. */
export function formatIdList(ids: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < ids.length; i++) {
    const first = ids[i]!;
    while (ids[i + 1] === ids[i]! + 1) i++;
    parts.push(ids[i] === first ? String(first) : `${first}-${ids[i]}`);
  }
  return parts.join(',');
}

/** Those of `ids` that are in `allowed`; all when `allowed` is undefined. */
export function intersect(ids: readonly number[], allowed: readonly number[] | undefined): number[] {
  if (allowed === undefined) return [...ids];
  const set = new Set(allowed);
  return ids.filter((id) => set.has(id));
}
