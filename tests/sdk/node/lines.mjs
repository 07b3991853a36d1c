// A reporter for node:test: one line a case, and `N passed, N failed` at the end.
import { inspect } from 'node:util';

const suite = process.env.SUITE;
const groups = [];
const counts = { passed: 0, failed: 0 };

function failure(data) {
  const cause = data.details.error.cause ?? data.details.error;
  return cause?.stack ?? inspect(cause);
}

export default async function* lines(source) {
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      groups.length = data.nesting;
      groups[data.nesting] = data.name;
    }
    // A group is no case; a group that could not even run is.
    const isCase = data?.details?.type !== 'suite' || data?.details?.error?.failureType === 'hookFailed';
    if ((type === 'test:pass' || type === 'test:fail') && isCase) {
      const name = [...groups.slice(0, data.nesting), data.name].join('.').replaceAll(' ', '_');
      if (data.skip !== undefined) {
        yield `skipped ${suite} ${name}\n`;
      } else if (type === 'test:pass') {
        counts.passed += 1;
        yield `ok ${suite} ${name}\n`;
      } else {
        counts.failed += 1;
        yield `FAILED ${suite} ${name}\n${failure(data)}\n`;
      }
    }
  }
  yield `${counts.passed} passed, ${counts.failed} failed\n`;
}
