// Sums vitest's JSON reports into CI's last line. usage: node scripts/report.mjs REPORT.json…
// A report that is missing or unreadable, or a test file that did not load, counts as a failure. What failed is named
// last, where a log that is cut off still shows it.
import { readFileSync } from 'node:fs';

let [passed, failed] = [0, 0];
for (const path of process.argv.slice(2)) {
  let report;
  try {
    report = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    console.error(`${path}: ${error.message}`);
    failed++;
    continue;
  }
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  for (const file of report.testResults) {
    const tests = file.assertionResults.filter(({ status }) => status === 'failed');
    for (const { fullName, failureMessages } of tests)
      console.error(`${file.name}: ${fullName}: ${failureMessages?.[0]?.split('\n    at ')[0] ?? ''}`);
    if (file.status === 'failed' && tests.length === 0) {
      console.error(`${file.name}: ${file.message}`);
      failed++;
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
