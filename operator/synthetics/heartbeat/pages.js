// What both heartbeats share: their settings, the names of their steps, and the sentences by which a page fails.
'use strict';

const os = require('os');

// Long addresses would fill the reason that AWS keeps of a run.
const LONGEST_SHOWN = 200;
// CloudWatch takes more, but a screenshot's file is named by its step.
const LONGEST_NAME = 64;
const LONGEST_SCREENSHOT_MS = 5_000;
// Less isn't worth a try.
const SHORTEST_SCREENSHOT_MS = 500;
// A page whose script never ends can't be left in peace: it is replaced soon.
const LONGEST_BLANK_MS = 2_000;
const SHORTEST_PAGE_MS = 1_000;

// Why a browser came back without an answer (Chromium: net/base/net_error_list.h).
const NETWORK_ERRORS = {
  ERR_ABORTED: 'no page came: it is a download, or an answer without content',
  ERR_ADDRESS_UNREACHABLE: 'the address is unreachable',
  ERR_CERT_AUTHORITY_INVALID: "the certificate isn't from a known authority",
  ERR_CERT_COMMON_NAME_INVALID: 'the certificate is for another name',
  ERR_CERT_DATE_INVALID: "the certificate has expired or isn't valid yet",
  ERR_CONNECTION_CLOSED: 'the connection was closed',
  ERR_CONNECTION_REFUSED: 'connection refused',
  ERR_CONNECTION_RESET: 'connection reset',
  ERR_CONNECTION_TIMED_OUT: 'connect timed out',
  ERR_EMPTY_RESPONSE: 'the connection was closed without an answer',
  ERR_INTERNET_DISCONNECTED: 'there is no network',
  ERR_NAME_NOT_RESOLVED: "the name doesn't resolve",
  ERR_SSL_PROTOCOL_ERROR: 'the TLS handshake failed',
  ERR_SSL_VERSION_OR_CIPHER_MISMATCH: 'the TLS handshake failed: no common version or cipher',
  ERR_TIMED_OUT: 'connect timed out',
  ERR_TOO_MANY_REDIRECTS: 'redirects without end',
  ERR_UNSAFE_PORT: 'browsers refuse this port',
};

// A page that didn't load, in a sentence for people.
class PageFailure extends Error {}

// The first of `names` that this runtime has: AWS renamed its library, and old and new runtimes are both in use.
function library(load, names) {
  for (const name of names) {
    try {
      return load(name);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND' || !error.message.includes(name)) throw error;
    }
  }
  throw new Error(`this runtime has no Synthetics library: looked for ${names.join(', ')}`);
}

function setting(environment, name) {
  const value = environment[name];
  if (value === undefined || value === '') throw new Error(`the environment variable ${name} is missing`);
  return value;
}

function milliseconds(environment, name) {
  const value = Number(setting(environment, name));
  if (!Number.isInteger(value) || value <= 0) {
    throw new Error(`the environment variable ${name} isn't a number of milliseconds`);
  }
  return value;
}

function settings(environment) {
  let urls;
  try {
    urls = JSON.parse(setting(environment, 'TIDEWATCH_URLS'));
  } catch (error) {
    throw new Error(`the environment variable TIDEWATCH_URLS isn't a JSON array of addresses: ${error.message}`);
  }
  return {
    urls,
    pageTimeout: milliseconds(environment, 'TIDEWATCH_PAGE_TIMEOUT_MS'),
    budget: milliseconds(environment, 'TIDEWATCH_BUDGET_MS'),
    screenshot: setting(environment, 'TIDEWATCH_SCREENSHOT') === 'true',
  };
}

// One name for each address, made of host and path: what the metrics of a step are found by.
function stepNames(urls) {
  const used = new Set();
  return urls.map((url) => {
    const readable = url
      .replace(/^https?:\/\//, '')
      .replace(/[?#].*$/, '')
      .replace(/[^A-Za-z0-9._]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, LONGEST_NAME);
    const base = readable === '' ? 'page' : readable;
    let name = base;
    for (let number = 2; used.has(name); number += 1) name = `${base}-${number}`;
    used.add(name);
    return name;
  });
}

function shown(url) {
  return url.length > LONGEST_SHOWN ? `${url.slice(0, LONGEST_SHOWN)}…` : url;
}

function firstLine(error) {
  return error.message.split('\n')[0];
}

function seconds(ms) {
  return `${Math.round(ms / 100) / 10}s`;
}

// What went wrong when `page.goto` threw; drivers put Chromium's own code into their message.
function whyNot(error, url, pageTimeout) {
  if (error.name === 'TimeoutError') return `${shown(url)} didn't load within ${seconds(pageTimeout)}`;
  // Playwright has words of its own for this one.
  const message = error.message.replace(/Download is starting/, 'net::ERR_ABORTED');
  const code = /net::(ERR_[A-Z_]+)/.exec(message);
  if (code !== null) return `${shown(url)}: ${NETWORK_ERRORS[code[1]] || `the browser says ${code[1]}`}`;
  return `${shown(url)}: ${firstLine(error).replace(/^page\.goto: /, '')}`;
}

// Loads `url` until its document is complete. Answers with the last status, redirects followed, and throws a
// PageFailure unless that is 2xx or 3xx.
async function load(page, url, pageTimeout) {
  let status;
  const heed = (response) => {
    try {
      const request = response.request();
      if (request.isNavigationRequest() && request.frame() === page.mainFrame()) status = response.status();
    } catch {
      // Playwright: a frame that isn't there yet, and so isn't the page's own.
    }
  };
  page.on('response', heed);
  try {
    const response = await page.goto(url, { waitUntil: 'domcontentloaded', timeout: pageTimeout });
    if (response) status = response.status();
  } catch (error) {
    // Chromium shows a page of its own for an error without a body, which the drivers tell as a failed navigation.
    if (status === undefined || !error.message.includes('ERR_HTTP_RESPONSE_CODE_FAILURE')) {
      throw new PageFailure(whyNot(error, url, pageTimeout));
    }
  } finally {
    page.off('response', heed);
  }
  if (status === undefined) throw new PageFailure(`${shown(url)} gave no answer`);
  if (status < 200 || status > 399) throw new PageFailure(`${shown(url)} answered ${status}`);
  return status;
}

// Loads `url` in a step, and answers with the sentence by which it failed, if it did.
async function attempt(driver, page, name, url, limit) {
  let failure;
  try {
    await driver.step(name, async () => {
      const began = Date.now();
      try {
        const status = await load(page, url, limit);
        console.log(`${shown(url)} answered ${status}, and its document was there after ${Date.now() - began} ms`);
      } catch (error) {
        // Kept here, since a runtime may be told to go on after a step that failed.
        failure = firstLine(error);
        throw error;
      }
    }, page);
  } catch (error) {
    failure = failure || firstLine(error);
  }
  if (failure !== undefined) console.log(failure);
  return failure;
}

// Takes a picture by `take(limit)`, if there is time that no page needs. That it fails says nothing of the page.
// Answers whether the page can take another one: after one that didn't come, the drivers wait for it.
async function picture(name, spare, take) {
  const limit = Math.min(spare, LONGEST_SCREENSHOT_MS);
  if (limit < SHORTEST_SCREENSHOT_MS) {
    console.log(`${name}: no screenshot, since the other pages need the time`);
    return true;
  }
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, limit, 'late');
  });
  const taken = (async () => take(limit))().then(() => 'taken', firstLine);
  const end = await Promise.race([taken, late]);
  clearTimeout(timer);
  if (end === 'late') console.log(`${name}: no screenshot: not taken within ${seconds(limit)}`);
  else if (end !== 'taken') console.log(`${name}: no screenshot: ${end}`);
  return end !== 'late';
}

// A page to load the next address in: the same one made blank, or a new one where that doesn't work any more.
async function next(driver, page, usable) {
  if (usable) {
    try {
      await page.goto('about:blank', { timeout: LONGEST_BLANK_MS });
      return page;
    } catch (error) {
      console.log(`the page is replaced: ${firstLine(error)}`);
    }
  }
  return driver.replace();
}

// Loads every address, each in a step, and throws if any failed: all are tried, and each failure is named.
//
// `driver` is what the runtimes differ in: open() and replace() answer with a page, step(name, run, page) runs a step,
// screenshot(name, page, limit) takes a picture.
async function heartbeat(environment, driver) {
  const { urls, pageTimeout, budget, screenshot } = settings(environment);
  const names = stepNames(urls);
  const deadline = Date.now() + budget;
  const failures = [];
  let page = await driver.open().catch((error) => {
    throw new Error(`the browser didn't start: ${firstLine(error)}`);
  });
  for (const [index, url] of urls.entries()) {
    const others = urls.length - index - 1;
    // What starting a browser again costs must not have the run cut off without a reason.
    const limit = Math.max(SHORTEST_PAGE_MS, Math.min(pageTimeout, deadline - Date.now()));
    const failure = await attempt(driver, page, names[index], url, limit);
    if (failure !== undefined) failures.push(failure);
    const spare = deadline - Date.now() - others * pageTimeout;
    const usable = !screenshot
      || (await picture(names[index], spare, (time) => driver.screenshot(names[index], page, time)));
    if (others === 0) break;
    try {
      page = await next(driver, page, usable);
    } catch (error) {
      failures.push(...urls.slice(index + 1).map((url) => `${shown(url)} wasn't tried: ${firstLine(error)}`));
      break;
    }
  }
  if (failures.length === 0) return urls.length === 1 ? 'the page loaded' : `${urls.length} pages loaded`;
  const count = urls.length === 1 ? '' : `${failures.length} of ${urls.length} pages failed: `;
  throw new Error(count + failures.join('; '));
}

// Lambda's only folder that can be written to; what is in it is uploaded to the canary's artifacts.
function artifact(name) {
  return `${os.tmpdir()}/${name}.png`;
}

module.exports = { artifact, heartbeat, library, stepNames };
