/** One line that is rewritten on a terminal, and one line for each case elsewhere. */
export class Progress {
  #total;
  #stream;
  #begin = performance.now();
  #caseBegin = 0;
  #done = 0;

  constructor(total, stream = process.stderr) {
    this.#total = total;
    this.#stream = stream;
  }

  startCase() {
    this.#caseBegin = performance.now();
  }

  turn({ definition, variant, round, rounds, contender }) {
    if (!this.#stream.isTTY) return;
    const what = variant.label === '' ? definition.id : `${definition.id}: ${variant.label}`;
    this.#rewrite(
      `[${this.#done + 1}/${this.#total}] ${what}, round ${round + 1} of ${rounds}, ${contender.label} (${seconds(this.#begin)})`,
    );
  }

  endCase(definition) {
    this.#done++;
    this.#rewrite('');
    this.#stream.write(`[${this.#done}/${this.#total}] ${definition.title}: ${seconds(this.#caseBegin)}\n`);
  }

  end() {
    this.#rewrite('');
  }

  #rewrite(text) {
    if (!this.#stream.isTTY) return;
    this.#stream.write(`\r\x1b[K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
  }
}

function seconds(begin) {
  return `${((performance.now() - begin) / 1000).toFixed(1)} s`;
}
