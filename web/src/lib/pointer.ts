/** Whether there is a mouse: a field that takes the focus by itself opens no keyboard over the page. */
export const isPointerFine = () => matchMedia('(pointer: fine)').matches
