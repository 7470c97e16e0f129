"""The dashboard in a browser, behind an admin key: ``llmgw dash --web``.

    door      who may come in: a key is typed once, a cookie stands for it, attempts are counted
    stage     one dashboard in a process of its own, spoken to as Textual's web driver speaks
    server    the two joined: a page, its files, a websocket between a browser and its dashboard

The page is ours, its terminal is xterm.js (``static/xterm``); nothing is loaded from anywhere else.
"""
