"""The dashboard. A file in ``screens/`` is a screen: it holds one `frame.Frame` named like the file.

How a screen is made, say ``screens/cache.py``:

    PLACE = 4                                  # its digit; a screen without one is reached from another
    class Cache(Frame):                        # the file's name, capitalised: its crumb and its name in `actions`
        def body(self) -> ComposeResult:       # its panes, laid out by ``styles/cache.tcss``
            yield Pane("Saved", id="saved")
            yield Table("Top entries", columns=(Column("TEXT", grow=True), Column("COUNT", right=True)), id="top")

        def draw(self, picture: Picture) -> None:     # once a beat, and whenever something else changed
            self.pane("saved").show(saved(picture))   # a function of `drawing.Paper` (width, height, plain) -> lines
            self.table("top").fill([Row(each.text, (each.text, spelling.count(each.count))) for each in ...])

Drawing is pure: functions of data to rich Text (``widgets/drawing.py``), styled by the names of ``themes.NAMES``
(``good warn bad id dim strong bar``), never by a colour. A pane repaints the cells that changed and no others. Figures
are spelled by ``domain.spelling`` alone. Enter on a row is `Table.Chosen`; `Frame.drill` opens the requests behind a
figure. A key is one line of ``actions`` and a method ``action_<id>`` on the screen it names: footer, help, palette and the
keymap of the configuration follow from it. `Dash.units`, `Dash.window`, `Dash.plain` hold for all screens.
A gateway is asked in a thread by `Frame.asking`; whatever writes goes through `Frame.change`, which shows the command
first and refuses without ``--write``.
"""
