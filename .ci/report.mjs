// Reads the report of the test run, names what was skipped and what failed, and ends with the line `N passed, N failed`.
// usage: node .ci/report.mjs <exit code of the test run>

import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Characters of a failure's text: whoever reads only the end of the output learns what failed and why. */
const TEXT_LIMIT = 1500;

const root = fileURLToPath(new URL('..', import.meta.url));
const runStatus = Number(process.argv[2]);
const problems = [];
/** By what they need, as their names say it: the skipped tests of one file, such as those of recordings beside the project. */
const wanting = new Map();
let passed = 0;
let failed = 0;

try {
  const report = JSON.parse(readFileSync(new URL('../build/test-report.json', import.meta.url), 'utf8'));
  for (const { name, status, message, assertionResults } of report.testResults) {
    const file = relative(root, name);
    // A file that does not load has no tests to count, but it is a failure.
    if (status === 'failed' && assertionResults.every((test) => test.status !== 'failed')) {
      failed++;
      problems.push(`failed as a whole: ${file}\n${(message ?? '').slice(0, TEXT_LIMIT)}`);
    }
    for (const test of assertionResults) {
      if (test.status === 'passed') passed++;
      else if (test.status === 'failed') {
        failed++;
        problems.push(
          `failed: ${file}: ${test.fullName}\n${test.failureMessages.join('\n').slice(0, TEXT_LIMIT)}`,
        );
      } else {
        const need = /\(needs [^)]+\)/.exec(test.fullName)?.[0];
        if (need === undefined) problems.push(`${test.status}: ${file}: ${test.fullName}`);
        else wanting.set(`${file} ${need}`, (wanting.get(`${file} ${need}`) ?? 0) + 1);
      }
    }
  }
  if (passed + failed === 0) problems.push('no test ran');
} catch (error) {
  problems.push(`no report of the test run: ${error.message}`);
}
if (runStatus !== 0 && failed === 0) problems.push(`the test run ended with exit code ${runStatus}`);

for (const [need, count] of wanting) console.log(`skipped: ${count} of ${need}`);
for (const problem of problems) console.log(problem);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = runStatus !== 0 || failed > 0 || problems.length > 0 ? 1 : 0;
