// What a real browser makes of a page, as JSON: `node browser.mjs CHROMIUM MODULES PAGE…`.
//
// For each page: findings of axe-core of impact serious or critical in both colour schemes, how much the page is wider than a small screen,
// and the number of sheets when printed.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [chromium, modules, ...pages] = process.argv.slice(2);
const require = createRequire(modules + "/");
const puppeteer = require("puppeteer-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
const out = [];
for (const file of pages) {
  const page = await browser.newPage();
  const requests = [];
  page.on("request", (r) => requests.push(r.url()));
  await page.goto(pathToFileURL(file).href);
  const faults = [];
  for (const scheme of ["light", "dark"]) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    for (const width of [1280, 390]) {
      await page.setViewport({ width, height: 900 });
      // Folded parts count, too.
      await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
      await page.evaluate(axe);
      const result = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
      for (const v of result.violations.filter((v) => ["serious", "critical"].includes(v.impact))) {
        faults.push(`${scheme}, ${width} px: ${v.id}: ${v.help}: ${v.nodes[0].html}`);
      }
    }
  }
  const overflow = await page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth);
  await page.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = false)));
  const pdf = Buffer.from(await page.pdf({ format: "A4" })).toString("latin1");
  const sheets = (pdf.match(/\/Type\s*\/Page[^s]/g) ?? []).length;
  out.push({ file, faults, overflow, sheets, fetched: requests.length - 1 });
  await page.close();
}
await browser.close();
console.log(JSON.stringify(out));
