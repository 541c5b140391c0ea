// Reads the report of the test run, names what was skipped, and ends with the line `N passed, N failed`.
// usage: node .ci/report.mjs <exit code of the test run>

import { readFileSync } from 'node:fs';

const runStatus = Number(process.argv[2]);
const problems = [];
/** Tests that say in their name what they need, such as recordings beside the project: skipped where it is not there, and named here. */
const wanting = [];
let passed = 0;
let failed = 0;

try {
  const report = JSON.parse(readFileSync(new URL('../build/test-report.json', import.meta.url), 'utf8'));
  for (const { name, status, assertionResults } of report.testResults) {
    // A file that does not load has no tests to count, but it is a failure.
    if (status === 'failed' && assertionResults.every((test) => test.status !== 'failed')) {
      failed++;
      problems.push(`failed as a whole: ${name}`);
    }
    for (const test of assertionResults) {
      if (test.status === 'passed') passed++;
      else if (test.status === 'failed') failed++;
      else if (test.fullName.includes('(needs ')) wanting.push(`${test.status}: ${test.fullName}`);
      else problems.push(`${test.status}: ${name}: ${test.fullName}`);
    }
  }
  if (passed + failed === 0) problems.push('no test ran');
} catch (error) {
  problems.push(`no report of the test run: ${error.message}`);
}
if (runStatus !== 0 && failed === 0) problems.push(`the test run ended with exit code ${runStatus}`);

for (const each of wanting) console.log(each);
for (const problem of problems) console.log(problem);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = runStatus !== 0 || failed > 0 || problems.length > 0 ? 1 : 0;
