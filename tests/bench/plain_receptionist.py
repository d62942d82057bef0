"""The receptionist with nothing but its prompt, as vanilla_bot.py has it."""

from dataclasses import replace

from bots import receptionist

BOT = replace(receptionist.BOT, knowledge=None, offline_knowledge=None, tools=())
