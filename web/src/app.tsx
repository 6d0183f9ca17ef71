// The dashboard: the frame around the page that the address names.
import {MantineProvider, localStorageColorSchemeManager} from "@mantine/core";
import {Caught} from "./ask/caught";
import {Frame} from "./frame/frame";
import {Nowhere} from "./frame/nowhere";
import {Params, useLocation} from "./frame/router";
import {placeOf} from "./places";
import {theme, variables} from "./theme";

const scheme = localStorageColorSchemeManager({key: "adg.scheme"}); // public/theme.js reads it, too

export function App() {
  return (
    <MantineProvider theme={theme} cssVariablesResolver={variables} colorSchemeManager={scheme} defaultColorScheme="auto">
      <Frame>
        <Page />
      </Frame>
    </MantineProvider>
  );
}

// Private

function Page() {
  const {path} = useLocation();
  const here = placeOf(path);
  if (here === undefined) {
    return <Nowhere path={path} />;
  }
  const {place, params} = here;
  return (
    <Caught key={place.name}>
      <Params value={params}>
        <place.Page />
      </Params>
    </Caught>
  );
}
