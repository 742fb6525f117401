// A stand-in for the library of syn-nodejs-puppeteer, of the functions that our heartbeat calls.
//
// From AWS's guide (CloudWatch_Synthetics_Canaries_Library_Nodejs) and AWS's type declarations of the library:
// - the runtime opens the browser before the script begins: getPage() answers with the page that is open;
// - launch() closes that browser and opens another;
// - executeStep(name, function, config, page) and takeScreenshot(name, suffix, page), which names its file by both;
// - close() closes the browser; a runtime that has no close() does so itself when the script has ended.
// Assumed: closing twice does no harm, and a picture that can't be taken throws.
'use strict';

const puppeteer = require('puppeteer-core');
const { LAUNCH, photograph, report, step } = require('stand-in-artifacts');

let browser;
let page;

async function close() {
  const open = browser;
  browser = undefined;
  if (open !== undefined) await open.close();
}

const synthetics = {
  async launch(options = {}) {
    await close();
    report.launches += 1;
    browser = await puppeteer.launch({ ...LAUNCH, ...options });
    [page] = await browser.pages();
  },
  async getPage() {
    return page;
  },
  executeStep: (name, run, config, of) => step(name, run, config, of || page),
  takeScreenshot: (name, suffix, of) => photograph(of || page, `${name}-${suffix}`),
};
if (!process.env.STAND_IN_WITHOUT_CLOSE) synthetics.close = close;

module.exports = synthetics;
// What the runtime does around the script; not part of the library.
module.exports.runtime = { report, before: () => synthetics.launch(), after: close, isOpen: () => browser !== undefined };
