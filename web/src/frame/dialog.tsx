import {CloseButton, Group, Modal, Title} from "@mantine/core";
import {type ReactNode} from "react";

interface DialogProps {
  title: string;
  opened: boolean;
  close: () => void;
  bare?: boolean; // the title is not shown, only said
  size?: string;
  yOffset?: string;
  children: ReactNode;
}

/** A dialog in front of the page: it has the focus until it is closed, and gives it back. */
export function Dialog({title, opened, close, bare = false, size = "md", yOffset, children}: DialogProps) {
  return (
    <Modal.Root opened={opened} onClose={close} size={size} yOffset={yOffset}>
      <Modal.Overlay />
      <Modal.Content aria-label={title}>
        <Modal.Body p={bare ? "xs" : "md"}>
          {!bare && (
            <Group justify="space-between" mb="sm" wrap="nowrap">
              <Title order={2}>{title}</Title>
              <CloseButton aria-label="Close" onClick={close} />
            </Group>
          )}
          {children}
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
