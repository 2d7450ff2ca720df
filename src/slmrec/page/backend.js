// Which backend the page talks to. `slmrec export --to web` puts browser.js in its place.
export { connect } from "./server.js";
