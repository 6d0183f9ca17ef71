import {useParams} from "../../frame/router";
import {One} from "./one";
import {Services} from "./services";

export default function Page() {
  const {service} = useParams();
  return service === undefined ? <Services /> : <One key={service} name={service} />;
}
