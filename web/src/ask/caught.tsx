import {Button, Text, Title} from "@mantine/core";
import {Component, type ReactNode} from "react";

/** Keeps a page that breaks from taking the frame with it. A page that cannot be loaded is most often one of a server
 * that was replaced by a newer version: loading all anew helps. */
export class Caught extends Component<{children: ReactNode}, {error: Error | undefined}> {
  override state: {error: Error | undefined} = {error: undefined};

  static getDerivedStateFromError(error: Error) {
    return {error};
  }

  override render() {
    const {error} = this.state;
    if (error === undefined) {
      return this.props.children;
    }
    return (
      <div role="alert">
        <Title order={1}>This page broke</Title>
        <Text my="md" className="wrap">
          {error.message}
        </Text>
        <Button onClick={() => window.location.reload()}>Load it again</Button>
      </div>
    );
  }
}
