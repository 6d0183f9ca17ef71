import {type Permission, useAnywhere, usePermission} from "./permission";

/** Whether the person may do something for some service or environment at all. For which ones, the server says when it is
 * done: the form names them. */
export function useSomewhere(permission: string): Permission {
  const anywhere = useAnywhere(permission);
  const everywhere = usePermission(permission);
  return anywhere ? {allowed: true, whyNot: ""} : everywhere;
}
