import { createRuntime, type LockGraph, type Runtime } from 'heddle';
import { describe, expect, it } from 'vitest';

async function open(): Promise<Runtime> {
  const rt = await createRuntime({
    memoryBytes: 32 * 2 ** 20,
    locks: { rules: [{ name: 'layers', order: ['outer', 'inner', 'never <taken>'] }] },
  });
  rt.locks.onViolation(() => undefined);
  return rt;
}

function nest(rt: Runtime, names: readonly string[]): void {
  rt.withOwner(() => {
    for (const name of names) rt.mutex(name).lockSync();
    for (const name of [...names].reverse()) rt.mutex(name).unlock();
  });
}

async function picture(): Promise<{ rt: Runtime; graph: LockGraph }> {
  const rt = await open();
  rt.mutex('never <taken>');
  rt.mutex('a "quoted" \\ name', { class: 'things & more' });
  for (let i = 0; i < 5; i++) nest(rt, ['outer', 'inner', 'a "quoted" \\ name']);
  nest(rt, ['x', 'y']);
  nest(rt, ['y', 'x']);
  return { rt, graph: rt.locks.visualizeHierarchy() };
}

describe('the picture of the order', () => {
  it('is plain data: nodes, weighted edges, cycles, rules', async () => {
    const { rt, graph } = await picture();
    await using _ = rt;
    expect(JSON.parse(JSON.stringify(graph))).toEqual({ nodes: graph.nodes, edges: graph.edges });
    const name = new Map(graph.nodes.map((node) => [node.address, node.name]));
    const edges = graph.edges.map(({ from, to, weight, isCyclic, rules }) => [
      name.get(from),
      name.get(to),
      weight,
      isCyclic,
      rules,
    ]);
    expect(edges).toEqual(
      expect.arrayContaining([
        ['outer', 'inner', 5, false, ['layers']],
        ['inner', 'never <taken>', 0, false, ['layers']],
        ['x', 'y', 1, true, []],
        ['y', 'x', 1, true, []],
        ['inner', 'a "quoted" \\ name', 5, false, []],
      ]),
    );
    expect(graph.nodes.find((node) => node.name === 'outer')).toMatchObject({
      address: rt.mutex('outer').id,
      kind: 'lock',
      numaNode: 0,
      qosLevel: 'Burstable',
    });
    expect(graph.nodes.find((node) => node.kind === 'class')).toMatchObject({ name: 'things & more' });
    expect(graph.nodes.find((node) => node.class !== undefined)).toMatchObject({ class: 'things & more' });
  });

  it('as DOT and Mermaid: every node and edge, quoted', async () => {
    const { rt, graph } = await picture();
    await using _ = rt;
    const dot = graph.toDot();
    expect(dot).toMatch(/^digraph locks \{\n/);
    expect(dot.trimEnd().endsWith('}')).toBe(true);
    expect(dot.match(/ -> /g)?.length).toBe(graph.edges.length);
    expect(dot).toContain('"a \\"quoted\\" \\\\ name\\n(things & more)"');
    expect(dot.match(/color=red, /g)?.length).toBe(2);
    const mermaid = graph.toMermaid();
    expect(mermaid).toMatch(/^flowchart TD\n/);
    expect(mermaid.match(/-->/g)?.length).toBe(graph.edges.filter(({ weight }) => weight > 0).length);
    expect(mermaid).toContain('"a &quot;quoted&quot; \\ name"');
    expect(mermaid).toContain('never &lt;taken&gt;');
    expect(mermaid).toMatch(/linkStyle \d+,\d+ stroke/);
  });

  it('as SVG: well formed, with every name, nothing outside the frame', async () => {
    const { rt, graph } = await picture();
    await using _ = rt;
    const svg = await graph.toSvg();
    // Well formed: each tag that opens closes, in order.
    const stack: string[] = [];
    for (const [, close, tag, rest] of svg.matchAll(/<(\/?)([a-z]+)([^>]*)>/gi)) {
      if (close) expect(stack.pop()).toBe(tag);
      else if (!rest!.endsWith('/')) stack.push(tag!);
    }
    expect(stack).toEqual([]);
    expect(svg).not.toMatch(/NaN|undefined|<script/);
    expect(svg).toContain('a &quot;quoted&quot; \\ name');
    expect(svg).toContain('never &lt;taken&gt;');
    const [, width, height] = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(svg)!;
    for (const [, x, y] of svg.matchAll(/<text x="([-\d.]+)" y="([-\d.]+)"/g)) {
      expect(Number(x)).toBeGreaterThan(0);
      expect(Number(x)).toBeLessThan(Number(width));
      expect(Number(y)).toBeGreaterThan(0);
      expect(Number(y)).toBeLessThan(Number(height));
    }
    // Layers: what is held stands above what is taken under it.
    const at = (name: string): number =>
      Number(new RegExp(`y="([\\d.]+)" text-anchor="middle">${name}<`).exec(svg)![1]);
    expect(at('outer')).toBeLessThan(at('inner'));
  });

  it('names that the formats would read as their own are quoted, control characters replaced', async () => {
    const rule = '%%{wrap}%% "rule"';
    await using rt = await createRuntime({
      memoryBytes: 32 * 2 ** 20,
      locks: { rules: [{ name: rule, order: ['r1', 'r2'] }] },
    });
    for (const name of ['r1', 'r2']) rt.mutex(name);
    const names = ['nul\0x', '%%{init: {', 'x\r%% comment', '`md`', '\x1b[31m', '&amp;', '#quot;', 'a\ttab'];
    nest(rt, names);
    const graph = rt.locks.visualizeHierarchy();
    const pictures = [graph.toDot(), graph.toMermaid(), await graph.toSvg()];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    for (const picture of pictures) expect(picture).not.toMatch(/[\0-\x08\x0b-\x1f\x7f]/);
    for (const picture of pictures) expect(picture).toContain('nul\ufffdx');
    const [dot, mermaid] = pictures as [string, string];
    expect(dot).toContain('"&amp;amp;"');
    expect(mermaid).not.toMatch(/%%|`|"#quot/);
    expect(mermaid).toContain('"#37;#37;{init: {"');
    expect(mermaid).toContain('#37;#37;{wrap}#37;#37; &quot;rule&quot;');
    expect(mermaid.split('\n').length).toBe(2 + graph.nodes.length + graph.edges.length);
  });

  it('of nothing is an empty picture', async () => {
    await using rt = await createRuntime({ memoryBytes: 8 * 2 ** 20 });
    const graph = rt.locks.visualizeHierarchy();
    expect(graph.toJSON()).toEqual({ nodes: [], edges: [] });
    expect(graph.toDot()).toContain('digraph');
    expect(graph.toMermaid()).toBe('flowchart TD\n');
    expect(await graph.toSvg()).toContain('<svg');
  });
});
