import {useParams} from "../../frame/router";
import {List} from "./list";
import {One} from "./one";

export default function Page() {
  const {service, environment} = useParams();
  return service === undefined || environment === undefined ? <List /> : <One service={service} environment={environment} />;
}
