// Where a role holds: a form of two patterns, used by roles and by tokens.
import {Group, NativeSelect, TextInput} from "@mantine/core";

export interface Where {
  role: string;
  service: string;
  environment: string;
}

export const nowhere: Where = {role: "viewer", service: "*", environment: "*"};

export function whereReady(where: Where): boolean {
  return where.service.trim() !== "" && where.environment.trim() !== "";
}

export function WhereForm({where, set, field}: {where: Where; set: (news: Partial<Where>) => void; field: (name: string) => string | undefined}) {
  return (
    <>
      <NativeSelect label="Role" value={where.role} data={roles} onChange={(event) => set({role: event.currentTarget.value})} error={field("role")} />
      <Group grow align="flex-start">
        <TextInput label="Service" description="A name, its beginning and *, or * for all" value={where.service} onChange={(event) => set({service: event.currentTarget.value})} error={field("service")} />
        <TextInput label="Environment" description="Likewise" value={where.environment} onChange={(event) => set({environment: event.currentTarget.value})} error={field("environment")} />
      </Group>
    </>
  );
}

// Private

const roles = [
  {value: "viewer", label: "viewer: sees"},
  {value: "deployer", label: "deployer: starts deployments and commands them"},
  {value: "approver", label: "approver: approves, holds, freezes"},
  {value: "admin", label: "admin: may do everything"},
];
