// One run, as Lambda makes it: `node run.js LIBRARY FOLDER HANDLER REPORT`. How it went is written to REPORT as JSON.
'use strict';

const fs = require('fs');
const path = require('path');

async function main([library, folder, handler, report]) {
  const { runtime } = require(library);
  const [, file, name] = /^(.*)\.([^.]+)$/.exec(handler);
  const outcome = {};
  await runtime.before();
  try {
    outcome.answer = await require(path.join(folder, file))[name]({}, {});
    outcome.passed = true;
  } catch (error) {
    outcome.passed = false;
    outcome.reason = error.message;
  }
  outcome.leftOpen = runtime.isOpen();
  await runtime.after();
  fs.writeFileSync(report, JSON.stringify({ ...outcome, ...runtime.report }));
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
