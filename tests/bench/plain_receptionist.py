"""The receptionist with nothing but its prompt: what vanilla_bot.py has."""

from dataclasses import replace

from bots import receptionist

BOT = replace(receptionist.BOT, knowledge=None, offline_knowledge=None, tools=())
