"""`visor top`: what the registry does now, drawn anew each second.

    figures   what one look found, and what became of it since the last: rates, percentiles, the last minutes
    hot       which directories change most
    frame     all that as lines of text, for a terminal of any size
    keys      which key was pressed, and what it changes in the view
    looking   looks at each member, at the time that a read takes, at what was changed; in threads where it is live
    terminal  the terminal: taken, drawn on without flicker, and given back whatever happens

All but the last two are pure. Nothing here comes from a library for terminals: what is needed of one is an alternate
screen, a cursor that goes home, and lines that are ended (`ESC [K`), and keys have to be read beside it. `rich`
draws, but reads no keys, knows nothing of Ctrl-Z, and takes 0.2 s and a hundred modules to load; `textual` wants
an event loop of its own. So `visor top` needs no more than the command itself.
"""
