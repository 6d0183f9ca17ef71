import {type RefObject, useLayoutEffect, useState} from "react";

/** How far below the top of the page something begins. What stands above it may grow, such as filters on a phone that is
 * turned, so it is measured again whenever the page changes its size. */
export function useTop(box: RefObject<HTMLElement | null>): number {
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const measure = () => setTop(box.current?.offsetTop ?? 0);
    measure();
    const resized = new ResizeObserver(measure);
    resized.observe(document.body);
    return () => resized.disconnect();
  }, [box]);
  return top;
}
