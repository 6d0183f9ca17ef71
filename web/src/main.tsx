import "./mantine.css";
import "./style.css";
import {StrictMode} from "react";
import {createRoot} from "react-dom/client";
import {App} from "./app";
import {meAhead} from "./ask/permission";
import {liveAhead} from "./live/deployments";
import {placeOf} from "./places";

// What every page asks for is on its way while the page is, and the page is drawn once, as it is: with nothing that stands in
// for it, unless it takes long.
meAhead();
liveAhead();
const long = 100; // ms
const page = placeOf(window.location.pathname)?.place.Page.ahead();
void Promise.race([page, new Promise((late) => setTimeout(late, long))]).then(() => {
  createRoot(document.getElementById("root")!).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
});
